package tasks

import "slices"

// First keeps the first n items; 0 keeps all.
func (t *Task) First(n int) {
	if n > 0 {
		t.Items = t.Items[:min(n, len(t.Items))]
	}
}

// Draw keeps the n items, in their order, that llama-perplexity takes with --hellaswag-tasks, --winogrande-tasks or
// --multiple-choice-tasks n; 0 keeps all. It draws with std::mt19937(1). For HellaSwag it also uses
// std::uniform_int_distribution, which C++ libraries implement in different ways: this is GNU's since GCC 11.
func (t *Task) Draw(n int) {
	rng := newMersenne(1)
	switch {
	case n <= 0:
	case t.Convention == LlamaHellaSwag:
		rest := slices.Clone(t.Items)
		t.Items = nil
		for range min(n, len(rest)) {
			i := rng.below(uint32(len(rest)))
			t.Items = append(t.Items, rest[i])
			rest = slices.Delete(rest, int(i), int(i)+1)
		}
	case n < len(t.Items):
		// A draw in single precision; the last item takes the place of the one that was drawn.
		const scale = 1 / (1 + float32(1<<32-1))
		rest := slices.Clone(t.Items)
		t.Items = nil
		for range n {
			i := min(int(scale*float32(rng.next())*float32(len(rest))), len(rest)-1)
			t.Items = append(t.Items, rest[i])
			rest[i] = rest[len(rest)-1]
			rest = rest[:len(rest)-1]
		}
	}
}

// mersenne is std::mt19937 (Matsumoto and Nishimura, 1998).
type mersenne struct {
	state [624]uint32
	i     int
}

func newMersenne(seed uint32) *mersenne {
	m := &mersenne{i: 624}
	m.state[0] = seed
	for i := 1; i < len(m.state); i++ {
		prev := m.state[i-1]
		m.state[i] = 1812433253*(prev^prev>>30) + uint32(i)
	}
	return m
}

func (m *mersenne) next() uint32 {
	const n = len(m.state)
	if m.i == n {
		for k := range m.state {
			y := m.state[k]&(1<<31) | m.state[(k+1)%n]&(1<<31-1)
			m.state[k] = m.state[(k+397)%n] ^ y>>1 ^ (y&1)*0x9908b0df
		}
		m.i = 0
	}
	y := m.state[m.i]
	m.i++
	y ^= y >> 11
	y ^= y << 7 & 0x9d2c5680
	y ^= y << 15 & 0xefc60000
	return y ^ y>>18
}

// below returns a number below n by Lemire's method (ACM TOMACS 29, 2019).
func (m *mersenne) below(n uint32) uint32 {
	product := uint64(m.next()) * uint64(n)
	if uint32(product) < n {
		for threshold := -n % n; uint32(product) < threshold; {
			product = uint64(m.next()) * uint64(n)
		}
	}
	return uint32(product >> 32)
}
