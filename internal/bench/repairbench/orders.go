package repairbench

import (
	"bufio"
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/bench/machine"
)

// once runs a search, prints what it removes in order, and remembers it. A run's lines can be given to a later one (-orders).
func (r *rig) once(name string, search func() ([]blockmask.Block, error)) ([]blockmask.Block, error) {
	if got, ok := r.found[name]; ok {
		return got, nil
	}
	cpu := machine.CPUSeconds()
	order, err := search()
	if err != nil {
		return nil, err
	}
	fmt.Printf("%s took %.0f CPU s: %v\n", name, machine.CPUSeconds()-cpu, order)
	r.found[name] = order
	return order, nil
}

var orderLine = regexp.MustCompile(`^(sample \d+: .+) took \d+ CPU s: \[(.+)\]$`)

// readOrders reads such lines from a file. The longest of several for one search counts.
func readOrders(path string) (map[string][]blockmask.Block, error) {
	out := map[string][]blockmask.Block{}
	if path == "" {
		return out, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		got := orderLine.FindStringSubmatch(lines.Text())
		if got == nil {
			continue
		}
		var order []blockmask.Block
		for _, word := range strings.Fields(got[2]) {
			m, err := blockmask.Parse(word)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			order = append(order, m.Blocks()...)
		}
		if len(order) > len(out[got[1]]) {
			out[got[1]] = order
		}
	}
	return out, lines.Err()
}
