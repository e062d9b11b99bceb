// Package calibrate makes what a search measures on: token sequences of the user's text or of one that the model writes itself, with
// its conversations in the model's own chat template, and a part of them held out to judge the result by.
package calibrate
