package naming

import "github.com/ggufprune/ggufprune/gguf"

// fileTypes are the names of llama_ftype, by general.file_type.
var fileTypes = map[uint64]string{
	0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S", 12: "Q3_K_M",
	13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS", 20: "IQ2_XS", 21: "Q2_K_S",
	22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S", 29: "IQ2_M", 30: "IQ4_XS",
	31: "IQ1_M", 32: "BF16", 36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4_MOE", 39: "NVFP4", 40: "Q1_0", 41: "Q2_0",
}

// Encoding names the file's quantisation as the GGUF naming convention does: Q4_K_M, F16. It is the file type that the metadata gives, or
// else the tensor type with the most bytes.
func Encoding(f *gguf.File) string {
	if v, found, err := f.Uint("general.file_type"); err == nil && found {
		if name, ok := fileTypes[v&^1024]; ok { // 1024: LLAMA_FTYPE_GUESSED
			return name
		}
	}
	bytes := map[gguf.Type]int64{}
	most := gguf.F32
	for _, t := range f.Tensors() {
		bytes[t.Type] += t.Size
	}
	for typ, n := range bytes {
		if n > bytes[most] || n == bytes[most] && typ < most {
			most = typ
		}
	}
	return most.Name()
}
