package repairbench

import (
	"strconv"
	"strings"
)

func numbers(list string) (out []int) {
	for _, s := range strings.Split(list, ",") {
		n, err := strconv.Atoi(s)
		if err == nil {
			out = append(out, n)
		}
	}
	return out
}

func maxOf(list string) int {
	m := 0
	for _, n := range numbers(list) {
		m = max(m, n)
	}
	return m
}

func mean(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	return sum / float64(len(v))
}
