package flags

import (
	"path/filepath"

	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/internal/compare"
	"github.com/ggufprune/ggufprune/internal/modelref"
)

// Rival says what is set against the pruned file.
type Rival struct {
	file, quant string

	fs *pflag.FlagSet
}

// AddFlags adds the flags. usual is the default of --rival-quant, of which usage says more.
func (r *Rival) AddFlags(fs *pflag.FlagSet, usual, usage string) {
	r.fs = fs
	fs.StringVar(&r.file, "rival", "", "`FILE` a quantisation of the original beside it, whatever its size; or a name as with -m")
	fs.StringVar(&r.quant, "rival-quant", usual, "`TYPE` "+usage)
	nameOf(fs, "rival", models)
	nameOf(fs, "rival-quant", rivals)
}

// Asked returns the flag by which the user asks for a rival, "" for none.
func (r *Rival) Asked() string {
	switch {
	case r.file != "":
		return "rival"
	case r.fs.Changed("rival-quant") && r.quant != compare.RivalOff:
		return "rival-quant"
	}
	return ""
}

// Resolve puts the rival into j.
func (r *Rival) Resolve(j *compare.Job) (err error) {
	if j.Rival, err = compare.ParseRival(r.quant); err != nil {
		return Errorf("--rival-quant: %v", err)
	}
	j.Nearby = modelref.System().Nearby
	if r.file == "" {
		return nil
	}
	if r.fs.Changed("rival-quant") {
		return Errorf("--rival and --rival-quant exclude each other; give one of them")
	}
	ref, err := modelref.System().Find(r.file)
	if err != nil {
		return err
	}
	j.RivalFile = compare.Contender{Label: ref.Given, Path: ref.Path}
	if ref.Given == "" {
		j.RivalFile.Label = filepath.Base(ref.Path)
	}
	return nil
}
