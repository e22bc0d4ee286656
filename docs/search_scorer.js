// What the site's search shows first; Sphinx takes it in place of its own rules (html_search_scorer).
// Sphinx counts a heading of the reference as much as a page written for readers, and sorts equals by the alphabet.
var Scorer = {
  score: ([page, title, anchor, description, score, file, kind]) => {
    const written = page === "index" || /^(docs|workshop)\//.test(page);
    const lesson = /^nbs\/\d/.test(page);
    // The words asked for are the title itself, or most of it.
    const named = kind === "title" && score > 5 ? 10 : 0;
    return score + named + (written ? 3 : lesson ? 2 : 0);
  },
  // As Sphinx has them.
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
