// Package search decides which blocks of a model to remove.
//
// A [Strategy] chooses, step by step, what goes next; [Run] drives it until a [Goal] is reached. The steps are nested: the
// first k removals are the answer for every size on the way, so one search serves many outputs. Package plan keeps that order.
//
// Strategies live in package strategy, which has a table of them. They measure with a [Ledger]: it stands between them and a [Source]
// of losses, such as a model, and remembers what it has measured, in a [Journal] too if there is one. An [ETA] predicts when a search
// ends.
//
// The package is pure: it opens no file, reports through events and never prints.
package search
