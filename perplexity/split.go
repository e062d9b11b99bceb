package perplexity

import (
	"math"
	"slices"
	"strings"
)

// Split divides the corpus into what a search may see and what is held out from it to judge the result on: part (0 to 1) of it
// at least, and what a search for o would leave unused anyway, up to as much again as it uses. held is nil where there is no
// second document, or no white space to cut a text at. A set of seen is made with o less its seed: the documents are chosen here.
//
// Documents are held out evenly over the file, which may be sorted. A text without document boundaries is cut near its
// end, so that nothing held out is between two pieces that are seen.
func (c *Corpus) Split(part float64, o SetOptions) (seen, held *Corpus) {
	if c.Continuous {
		return c.splitText(part)
	}
	order := ordered(len(c.Documents), o.Seed)
	n := len(order)
	if o.Max > 0 {
		n = min(n, o.Max)
	}
	taken, rest := order[:n:n], order[n:]
	want := max(1, int(math.Round(part*float64(n))))
	if len(rest) >= want {
		rest = spread(slices.Clone(rest), min(len(rest), n))
	} else {
		slices.Sort(taken)
		more := spread(taken, want-len(rest))
		rest = append(slices.Clone(rest), more...)
		taken = slices.DeleteFunc(slices.Clone(taken), func(i int) bool { return slices.Contains(more, i) })
	}
	if len(taken) == 0 {
		return c, nil
	}
	return c.pick(taken), c.pick(rest)
}

// spread returns n of the elements of list, evenly over it and none of them the first if it can be.
func spread(list []int, n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = list[(2*i+1)*len(list)/(2*n)]
	}
	return out
}

// pick returns the corpus of the documents which, in the order of the file.
func (c *Corpus) pick(which []int) *Corpus {
	which = slices.Clone(which)
	slices.Sort(which)
	out := &Corpus{Name: c.Name}
	for _, i := range which {
		out.Documents = append(out.Documents, c.Documents[i])
		if c.Turns != nil {
			out.Turns = append(out.Turns, c.Turns[i])
		}
		if c.special != nil {
			out.special = append(out.special, c.special[i])
		}
	}
	return out
}

// splitText cuts a text in two: at the end of a paragraph if there is one close to the place, else of a line, else of a word.
func (c *Corpus) splitText(part float64) (seen, held *Corpus) {
	text := c.Text()
	at := int((1 - part) * float64(len(text)))
	low := max(0, at-len(text)/50)
	for _, sep := range []string{"\n\n", "\n", " "} {
		i := strings.LastIndex(text[low:at], sep)
		if i < 0 {
			continue
		}
		head, tail := text[:low+i], text[low+i+len(sep):]
		if strings.TrimSpace(head) == "" || strings.TrimSpace(tail) == "" {
			continue
		}
		return &Corpus{Name: c.Name, Documents: []string{head}, Continuous: true},
			&Corpus{Name: c.Name, Documents: []string{tail}, Continuous: true}
	}
	return c, nil
}
