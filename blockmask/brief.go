package blockmask

import (
	"fmt"
	"strings"
)

// Brief returns the text of String if that has at most so many bytes. Otherwise it counts: "2 mixers, 1 FFN, channels of 30 FFNs (512 to
// 1024 stay)". It is for people.
func (m Mask) Brief(most int) string {
	if text := m.String(); len(text) <= most {
		return text
	}
	var gone [2]int
	narrow, low, high := 0, MaxIndex+1, 0
	for _, c := range m {
		switch n := c.Channels.Len(); {
		case c.Gone():
			gone[c.Kind]++
		case n > 0:
			narrow, low, high = narrow+1, min(low, n), max(high, n)
		}
	}
	var items []string
	for kind, name := range []string{"mixer", "FFN"} {
		if n := gone[kind]; n > 0 {
			items = append(items, plural(n, name))
		}
	}
	if narrow > 0 {
		kept := fmt.Sprint(low)
		if high > low {
			kept += fmt.Sprintf(" to %d", high)
		}
		items = append(items, fmt.Sprintf("channels of %s (%s stay)", plural(narrow, "FFN"), kept))
	}
	experts := 0
	for _, c := range m {
		if !c.Experts.Empty() {
			experts++
		}
	}
	if experts > 0 {
		items = append(items, "experts of "+plural(experts, "FFN"))
	}
	return strings.Join(items, ", ")
}

func plural(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
