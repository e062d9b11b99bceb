// Package fit re-fits the output projections of the blocks that are left after pruning, so that the residual stream comes close to
// the unpruned model's again. It is least squares in closed form: no gradient, no new tensor, and the same shapes but for
// FFNs that lose channels.
//
// # Method
//
// Front to back over the kept blocks b, in the pruned model with the repairs so far: let f(t), of k numbers, be what b's output
// projection W is multiplied with at position t, x_p(t) the pruned stream behind b, and x_d(t) the unpruned model's stream right before
// the next kept block, that is, behind all that was removed after b. With r = x_d - x_p
//
//	X  = argmin  sum_t |X^T f(t) - r(t)|^2 + lambda mean(diag G) |X|^2  =  (G + lambda mean(diag G) I)^-1 C
//	G  = sum_t f f^T  (k, k)        C = sum_t f r^T  (k, d)        W <- W + X^T
//
// and the pruned stream goes on through the repaired block. As long as nothing was removed both streams are the same, so the first
// block that changes is the last one before the first gap.
//
// [Full] takes f itself as features. [Map] takes W f: X^T is then M W with M of size (d, d), which is far cheaper where k is much
// larger than d. lambda, and whether a block is repaired at all, is chosen by the loss on sequences that the fit has not seen; the
// closed form of that loss needs their G and C only. In the end the whole repair must lower the perplexity of these sequences, or
// nothing is changed.
//
// The matrix of a mixture of experts is fitted expert by expert, each on the positions that it works on with its share of the residual, or
// with one map for all; the held-out loss of the changed block chooses. A product that enters the stream multiplied with a number for
// each position (a gate, an expert's weight, a constant) is fitted as if f had been multiplied with it. Blocks that run side by side,
// and the shared expert beside the others, are fitted one after the other. Behind an RMS norm the direction of what is missing is fitted,
// by [Full] only: see postnorm.go. Any other form is left alone.
//
// An FFN of [Request.Widths] loses channels on the way: those that stay are chosen, and the projection fitted on them, in closed form
// (method [Width]). Such a fit is not undone. A mixer that runs side by side with it is fitted
// after it.
//
// A matrix that is fitted in full, or that loses columns, is rounded to its type with the sums that it was fitted by: see round.go.
//
// A search can ask what a repair would make up for before anything is changed: [Mappable] says which blocks a repair could change,
// [Streams] runs the model once, and a [Span] fits the map of one candidate.
//
// Two streams are kept for every position, and one of the held-out ones more while a block is fitted: positions x n_embd x 4 bytes each.
//
// Related: Prune&Comp (arXiv 2507.18212) and FLAP (2312.11983) restore a mean; ReplaceMe (2505.02819) fits one linear map for a gap.
package fit
