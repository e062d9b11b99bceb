package tasks

import "math"

// Rights says of each task's items whether a model answered them right: by acc_norm where the task has it, else by acc.
type Rights [][]bool

// RightsOf are those of some results.
func RightsOf(results []*Result) Rights {
	var all Rights
	for _, r := range results {
		right := make([]bool, len(r.Answers))
		for i, a := range r.Answers {
			right[i] = a.Right
			if r.Task.Norm != NoNorm {
				right[i] = a.RightNorm
			}
		}
		all = append(all, right)
	}
	return all
}

// Mean is the mean of the tasks' accuracies.
func (a Rights) Mean() float64 {
	sum := 0.0
	for i := range a {
		sum += a.Part(i)
	}
	return sum / float64(max(1, len(a)))
}

// Part is how much of a task was answered right, 0 to 1.
func (a Rights) Part(task int) float64 {
	n := 0
	for _, r := range a[task] {
		if r {
			n++
		}
	}
	return float64(n) / float64(max(1, len(a[task])))
}

// Ahead is by how much the mean accuracy of a is above that of b, and the standard error of that, from the items that only one of them
// answers right.
func (a Rights) Ahead(b Rights) (difference, stderr float64) {
	variance := 0.0
	for i := range a {
		n := float64(max(1, len(a[i])))
		sum, squares := 0.0, 0.0
		for k := range a[i] {
			if a[i][k] != b[i][k] {
				squares++
				if a[i][k] {
					sum++
				} else {
					sum--
				}
			}
		}
		mean := sum / n
		difference += mean
		variance += (squares/n - mean*mean) / n
	}
	tasks := float64(max(1, len(a)))
	return difference / tasks, math.Sqrt(max(0, variance)) / tasks
}
