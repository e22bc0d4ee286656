"""What the lessons stand on: parsers, checks, files, HTML, terminals. A notebook's number here is its lesson's."""
