package source

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What would trip an assertion of ggml's on a thread of its own is found in the file.
func TestFilesWithImpossibleNumbers(t *testing.T) {
	t.Parallel()
	good, err := os.ReadFile("../../testdata/tiny-11m-Q8_0.gguf")
	if err != nil {
		t.Fatal(err)
	}
	patch := func(after string, skip int, value uint32) []byte {
		bad := bytes.Clone(good)
		at := bytes.Index(bad, []byte(after))
		if at < 0 {
			t.Fatalf("%s is not in the file", after)
		}
		binary.LittleEndian.PutUint32(bad[at+len(after)+skip:], value)
		return bad
	}
	const eps, norm = "llama.attention.layer_norm_rms_epsilon", "blk.0.attn_norm.weight"
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"as it is":         {good, ""},
		"epsilon NaN":      {patch(eps, 4, math.Float32bits(float32(math.NaN()))), eps + " is NaN"},
		"epsilon below 0":  {patch(eps, 4, math.Float32bits(-1)), eps + " is -1"},
		"a norm of tables": {patch(norm, 12, 26), norm + " has the type I32"},
	} {
		path := filepath.Join(t.TempDir(), "m.gguf")
		if err := os.WriteFile(path, c.file, 0o644); err != nil {
			t.Fatal(err)
		}
		f, err := OpenFile(path)
		if err == nil {
			f.Close()
		}
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), "is damaged: "+c.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
