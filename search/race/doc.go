// Package race finds out which of several masks has the lowest mean loss over a whole calibration set, from as few of its sequences
// as possible.
//
// All candidates run on a few sequences; those that are clearly worse than the leader drop out; the others run on as many
// again, and so on, doubling. What is tested is the mean of the paired differences: a candidate's loss less the leader's on the
// same sequence. The perplexities of two masks of one model go up and down together from text to text, so the difference is
// known long before either of them is.
//
// A candidate c drops out at a look after s of S sequences if
//
//	d + tolerance > t * sqrt(v/s * (1 - s/S))
//
// where d >= 0 is the mean difference to the leader, v its variance and t a quantile of Student's distribution. The last
// factor is the finite population correction: the question is what the whole set would say, not all texts of the world, and
// the nearer s is to S the less can change. So a candidate better than the leader by more than the tolerance is lost with a
// probability of at most the level of t. The race is wrong only if the best is lost to one of the others at one of the looks;
// the level is (1 - confidence) / (others * looks), and by Bonferroni's inequality the sum stays below 1 - confidence.
//
// With four sequences a variance has three degrees of freedom, and t is so large that nothing ever drops out. But candidates
// that are near the leader have similar variances. So a variance below twice the median of all counts as at least that median, with
// half of the degrees of freedom of all together (half, since all differences share the leader). A larger one stands alone.
//
// What a candidate did to a sequence before can be taken out of what it does to it now: see [Foretold].
package race
