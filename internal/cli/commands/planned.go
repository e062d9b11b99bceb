package commands

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/internal/cli/flags"
	"github.com/ggufprune/ggufprune/internal/format"
	"github.com/ggufprune/ggufprune/internal/prune"
	"github.com/ggufprune/ggufprune/internal/repair"
	"github.com/ggufprune/ggufprune/internal/ui"
)

// tellApply says how the file of a plan that is there gets written after err, without another search.
func (o *pruneOptions) tellApply(err error, asked *pflag.FlagSet, u *ui.UI) error {
	planned := (*prune.PlannedError)(nil)
	if !errors.As(err, &planned) {
		return err
	}
	command := o.applyCommand(asked, planned.Repair)
	if planned.Saved {
		u.Notef("the search is done, and its plan saved; this goes on from there: %s", command)
		return err
	}
	return fmt.Errorf("%w; or write the file of the plan that is there: %s", err, command)
}

// applyCommand is apply of the plan, with those flags of prune that apply has, too, and r as the repair.
func (o *pruneOptions) applyCommand(asked *pflag.FlagSet, r repair.Options) string {
	words := []string{"ggufprune", "apply"}
	known := NewApplyCmd(o.model.Engine).Flags()
	asked.Visit(func(f *pflag.Flag) {
		switch {
		case known.Lookup(f.Name) == nil, slices.Contains(o.goals.Given(), f.Name): // the plan goes no further than its goal
		case f.Name == "repair-tokens", strings.HasPrefix(f.Name, "repair") && !r.Wanted(): // from r
		case f.Name == "plan":
			words = append(words, "--plan", o.plan)
		default:
			words = append(words, flags.Words(f)...)
		}
	})
	switch {
	case !r.Wanted():
		words = append(words, "--repair", "off")
	case r.Tokens != repair.DefaultTokens:
		words = append(words, "--repair-tokens", fmt.Sprint(r.Tokens))
	}
	for i, w := range words {
		words[i] = format.Shell(w)
	}
	return strings.Join(words, " ")
}
