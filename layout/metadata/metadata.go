// Package metadata edits the key-values of a GGUF file, and keeps the bytes of what is not edited.
package metadata

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ggufprune/ggufprune/gguf"
)

// List is an ordered list of key-values under edit. What is not edited keeps its raw bytes.
type List struct {
	KVs []gguf.KV
}

// Get returns the key-value of that key.
func (m *List) Get(key string) (kv gguf.KV, found bool) {
	i := m.index(key)
	if i < 0 {
		return gguf.KV{}, false
	}
	return m.KVs[i], true
}

// Str returns the string of that key, "" where it is absent or another value.
func (m *List) Str(key string) string {
	kv, found := m.Get(key)
	if !found {
		return ""
	}
	v, err := kv.Value()
	s, ok := v.(string)
	if err != nil || !ok {
		return ""
	}
	return s
}

// Has reports whether the key is there.
func (m *List) Has(key string) bool { return m.index(key) >= 0 }

func (m *List) index(key string) int {
	return slices.IndexFunc(m.KVs, func(kv gguf.KV) bool { return kv.Key == key })
}

// Set gives key the value v (see gguf.NewKV), in its place if it exists, else at the end.
func (m *List) Set(key string, v any) error {
	kv, err := gguf.NewKV(key, v)
	if err != nil {
		return fmt.Errorf("metadata key %s: %w", key, err)
	}
	m.Put(kv)
	return nil
}

// SetAll sets several keys; pairs alternates keys and values.
func (m *List) SetAll(pairs ...any) error {
	for i := 0; i+1 < len(pairs); i += 2 {
		if err := m.Set(pairs[i].(string), pairs[i+1]); err != nil {
			return err
		}
	}
	return nil
}

// Put stores kv, in the place of one of the same key if there is one. The metadata of general.* stays together.
func (m *List) Put(kv gguf.KV) {
	if i := m.index(kv.Key); i >= 0 {
		m.KVs[i] = kv
		return
	}
	at := len(m.KVs)
	if strings.HasPrefix(kv.Key, "general.") {
		for i, have := range m.KVs {
			if strings.HasPrefix(have.Key, "general.") {
				at = i + 1
			}
		}
	}
	m.KVs = slices.Insert(m.KVs, at, kv)
}

// Delete removes the keys that match.
func (m *List) Delete(match func(key string) bool) {
	m.KVs = slices.DeleteFunc(m.KVs, func(kv gguf.KV) bool { return match(kv.Key) })
}

// Rename gives the keys that begin with one prefix another one.
func (m *List) Rename(from, to string) {
	for i, kv := range m.KVs {
		if rest, ok := strings.CutPrefix(kv.Key, from); ok {
			m.KVs[i].Key = to + rest
		}
	}
}
