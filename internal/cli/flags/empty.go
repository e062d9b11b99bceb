package flags

import (
	"slices"

	"github.com/spf13/pflag"
)

// CheckEmpty refuses flags that are given without a value, as -f "$TEXT" gives one where the variable is not set. Most would be
// taken as not given, and something else be measured or written than what was meant.
func CheckEmpty(fs *pflag.FlagSet) error {
	var err error
	fs.Visit(func(f *pflag.Flag) {
		if _, ok := f.Value.(*goalValue); ok || f.Name == "mask" {
			return // goals refuse an empty value themselves, and an empty mask leaves nothing out
		}
		empty := f.Value.Type() == "string" && f.Value.String() == ""
		if list, ok := f.Value.(pflag.SliceValue); ok && f.Value.Type() == "stringArray" {
			empty = slices.Contains(list.GetSlice(), "")
		}
		if empty && err == nil {
			err = Errorf("--%s is empty; give %s, or leave the flag out", f.Name, Value(f))
		}
	})
	return err
}
