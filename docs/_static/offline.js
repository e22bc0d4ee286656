// Opened from disk, a page may not fetch the pages that a search has found to quote from them.
DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = location.protocol !== "file:";
