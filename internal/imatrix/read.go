package imatrix

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"strings"

	"github.com/ggufprune/ggufprune/gguf"
)

// The names of the GGUF format.
const (
	keyDatasets  = "imatrix.datasets"
	keyChunks    = "imatrix.chunk_count"
	keyChunkSize = "imatrix.chunk_size"
	sumsSuffix   = ".in_sum2"
	countsSuffix = ".counts"
)

// maxLegacy bounds a file of the old format, which is read at once. That of a model with 600 billion weights has half of it.
const maxLegacy = 4 << 30

// Read reads a file of either format. Errors are an *Error, one line.
func Read(path string) (*Matrix, error) {
	f, err := os.Open(path)
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return nil, &Error{path, fmt.Sprintf("cannot be read: %v; check the path given with --imatrix", err)}
	}
	defer f.Close()
	var magic [4]byte
	if _, err := io.ReadFull(f, magic[:]); err == nil && string(magic[:]) == "GGUF" {
		m, err := readGGUF(path)
		return m.checked(path, err)
	}
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() || st.Size() > maxLegacy {
		return nil, &Error{path, "is not a file that llama-imatrix writes; give one of those"}
	}
	b := make([]byte, st.Size())
	if _, err := f.ReadAt(b, 0); err != nil && err != io.EOF {
		return nil, &Error{path, fmt.Sprintf("cannot be read: %v", err)}
	}
	m, err := readLegacy(b)
	return m.checked(path, err)
}

// checked returns m if it can be quantised with.
func (m *Matrix) checked(path string, err error) (*Matrix, error) {
	if err != nil {
		return nil, &Error{path, err.Error()}
	}
	if len(m.Entries) == 0 {
		return nil, &Error{path, "holds no importances; give a file that llama-imatrix wrote"}
	}
	for _, name := range m.names() {
		e := m.Entries[name]
		for _, v := range [][]float32{e.Sums, e.Counts} {
			for _, x := range v {
				if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) || x < 0 {
					return nil, &Error{path, fmt.Sprintf("has %v where an importance of %q should be; make it again", x, name)}
				}
			}
		}
	}
	return m, nil
}

func readGGUF(path string) (*Matrix, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, fmt.Errorf("is damaged: %w", errors.Unwrap(err)) // the path is said already
	}
	defer f.Close()
	m := &Matrix{Entries: map[string]Entry{}}
	counts := map[string][]float32{}
	for _, t := range f.Tensors() {
		name, isSum := strings.CutSuffix(t.Name, sumsSuffix)
		name, isCount := strings.CutSuffix(name, countsSuffix)
		if !isSum && !isCount {
			continue
		}
		if t.Type != gguf.F32 {
			return nil, fmt.Errorf("has %q in %s; it must be F32", t.Name, t.Type.Name())
		}
		v := make([]float32, t.Elements())
		if err := binary.Read(f.Data(t), binary.LittleEndian, v); err != nil {
			return nil, fmt.Errorf("cannot be read: %w", err)
		}
		if isSum {
			m.Entries[name] = Entry{Sums: v}
		} else {
			counts[name] = v
		}
	}
	if len(m.Entries)+len(counts) == 0 {
		return m, nil
	}
	if err := m.readKeys(f); err != nil {
		return nil, err
	}
	return m, m.join(counts)
}

// readKeys reads what llama-quantize wants to find, too.
func (m *Matrix) readKeys(f *gguf.File) error {
	for key, to := range map[string]*uint32{keyChunks: &m.Chunks, keyChunkSize: &m.ChunkSize} {
		v, found, err := f.Uint(key)
		if err != nil {
			return err
		}
		if !found || v > math.MaxInt32 {
			return fmt.Errorf("has no usable %s; give a file that llama-imatrix wrote", key)
		}
		*to = uint32(v)
	}
	kv, ok := f.KV(keyDatasets)
	if !ok {
		return fmt.Errorf("has no %s; give a file that llama-imatrix wrote", keyDatasets)
	}
	v, err := kv.Value()
	if err != nil {
		return err
	}
	m.Datasets, _ = v.([]string)
	return nil
}

// join puts the sums and the counts of each tensor together.
func (m *Matrix) join(counts map[string][]float32) error {
	for name := range counts {
		if _, ok := m.Entries[name]; !ok {
			return fmt.Errorf("has %q without %q", name+countsSuffix, name+sumsSuffix)
		}
	}
	for _, name := range m.names() {
		e := m.Entries[name]
		e.Counts = counts[name]
		if len(e.Counts) == 0 || len(e.Sums)%len(e.Counts) != 0 {
			return fmt.Errorf("has %d sums and %d counts of %q; make it again", len(e.Sums), len(e.Counts), name)
		}
		for i, c := range e.Counts {
			e.Counts[i] = float32(math.Round(float64(c))) // as llama.cpp does
		}
		m.Entries[name] = e
	}
	return nil
}

var errLegacy = errors.New("is not a file that llama-imatrix writes, or it is cut short; give another one")

// readLegacy reads the old format. No length is believed before that many bytes are there.
func readLegacy(b []byte) (*Matrix, error) {
	r := &reader{b: b}
	m := &Matrix{Entries: map[string]Entry{}}
	for n := r.int(); n > 0 && !r.failed; n-- {
		name := string(r.bytes(r.int()))
		calls := r.int()
		raw := r.bytes(4 * r.int())
		if r.failed || name == "" || len(raw) == 0 {
			return nil, errLegacy
		}
		if _, twice := m.Entries[name]; twice {
			return nil, fmt.Errorf("has two entries %q; make it again", name)
		}
		e := Entry{Sums: make([]float32, len(raw)/4), Counts: []float32{float32(max(1, calls))}}
		for i := range e.Sums { // binary.Read would hold all of them once more
			e.Sums[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		}
		m.Entries[name] = e
	}
	if r.failed {
		return nil, errLegacy
	}
	// Old versions end here.
	if len(r.b) == 0 {
		return m, nil
	}
	m.Chunks = uint32(max(0, min(r.int(), math.MaxInt32)))
	if len(r.b) > 0 {
		if text := r.bytes(r.int()); len(text) > 0 {
			m.Datasets = []string{string(text)}
		}
	}
	if r.failed || len(r.b) > 0 {
		return nil, errLegacy
	}
	return m, nil
}

// reader takes bytes from the front.
type reader struct {
	b      []byte
	failed bool // there were not enough; everything read after that is empty
}

func (r *reader) bytes(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.failed, r.b = true, nil
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

// int reads an int32.
func (r *reader) int() int {
	b := r.bytes(4)
	if len(b) < 4 {
		return 0
	}
	return int(int32(binary.LittleEndian.Uint32(b)))
}
