// Package realbench measures what pruning a real model costs and gives, by each method and at several amounts, beside quantisations of no
// more than that size. It makes the table that docs/BENCHMARKS.md begins with, and a picture of it.
//
// It takes hours, so it goes on where it stopped: the files that it makes and a book of what it measured stay in a folder. What the book
// has is not done again. See [book].
package realbench
