package tasks

import (
	"encoding/binary"
	"fmt"
)

// parseBinary reads what llama-perplexity --multiple-choice reads, all little endian: the number of items (uint32), for each the
// offset of its record in the file (uint32), and the records one after the other. A record is the question (a string: uint32
// length, then its bytes) and two lists of answers: uint32 number (at most 100), the answers (strings), and for each an int32
// that is 1 where it is right. The second list, of questions with several right answers, is not used, there as here.
func parseBinary(name string, data []byte) (*Task, error) {
	r := &binaryReader{data: data}
	fail := func(format string, args ...any) (*Task, error) {
		return nil, &FormError{name, "it is binary, but " + fmt.Sprintf(format, args...)}
	}
	n := r.uint32()
	// A record has at least 12 bytes: three lengths.
	if r.bad || n == 0 || uint64(n)*16 > uint64(len(data)) {
		return fail("it cannot hold the %d items that it begins with", n)
	}
	r.skip(4 * int(n))
	t := &Task{Convention: LlamaMultipleChoice, Norm: Tokens}
	for i := range int(n) {
		question := r.str()
		answers, right := r.answers()
		r.answers()
		if r.bad {
			return fail("its item %d of %d ends beyond the file or is no record", i+1, n)
		}
		if question == "" || len(answers) == 0 {
			return fail("its item %d of %d has no question or no answers", i+1, n)
		}
		for _, a := range answers {
			if a == "" {
				return fail("its item %d of %d has an empty answer", i+1, n)
			}
		}
		t.Items = append(t.Items, Item{Place: i + 1, Choices: afterSpace(question, answers), Right: right})
	}
	return t, nil
}

// binaryReader reads from data; once something does not fit, bad is set and all that is read is empty.
type binaryReader struct {
	data []byte
	bad  bool
}

func (r *binaryReader) bytes(n int) []byte {
	if r.bad || n < 0 || n > len(r.data) {
		r.bad = true
		return nil
	}
	out := r.data[:n]
	r.data = r.data[n:]
	return out
}

func (r *binaryReader) skip(n int) { r.bytes(n) }

func (r *binaryReader) uint32() uint32 {
	b := r.bytes(4)
	if b == nil {
		return 0
	}
	return binary.LittleEndian.Uint32(b)
}

func (r *binaryReader) str() string {
	n := r.uint32()
	if int64(n) > int64(len(r.data)) {
		r.bad = true
		return ""
	}
	return string(r.bytes(int(n)))
}

// maxAnswers is llama-perplexity's.
const maxAnswers = 100

func (r *binaryReader) answers() (texts []string, right []bool) {
	n := r.uint32()
	if n > maxAnswers {
		r.bad = true
		return nil, nil
	}
	for range n {
		texts = append(texts, r.str())
	}
	for range n {
		right = append(right, r.uint32() == 1)
	}
	return texts, right
}
