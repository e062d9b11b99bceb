// Package prune joins what it takes to make a smaller file of a model: search (package find), repair, write, check and compare
// ([Run]); the search alone ([Search]); and the file that a plan or a mask describes ([Apply], [ApplyAll]).
package prune
