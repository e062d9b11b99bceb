//go:build cgo

package llamatest

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/cli/render"
	"github.com/ggufprune/ggufprune/internal/corpus"
	"github.com/ggufprune/ggufprune/internal/find"
	"github.com/ggufprune/ggufprune/internal/format"
	"github.com/ggufprune/ggufprune/internal/progress/progresstest"
	"github.com/ggufprune/ggufprune/internal/prune"
	"github.com/ggufprune/ggufprune/internal/report"
	"github.com/ggufprune/ggufprune/internal/report/page"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/internal/ui"
	"github.com/ggufprune/ggufprune/layout"
	"github.com/ggufprune/ggufprune/llamabind"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search"
)

// A pruned file has one count of parameters, llama.cpp's: the summary, its JSON, the page and the card print it. In deci an attention
// without an FFN has a stub beside it, and in zeros all tensors stay.
func TestOneCountOfParameters(t *testing.T) {
	labels := map[layout.Kind]string{layout.Deci: "10M", layout.Zeros: "11.5M"}
	for _, kind := range []layout.Kind{layout.Deci, layout.Zeros} {
		t.Run(string(kind), func(t *testing.T) {
			j := prune.Job{Writing: prune.Writing{Output: filepath.Join(t.TempDir(), "out.gguf"), NoCheck: true}}
			j.Common = prune.Common{
				Spec:   source.Spec{Engine: llamabind.Runtime{}, Path: tinyModel, Threads: 2, FlashAttn: "auto"},
				Text:   corpus.Text{File: tinyText, Convention: perplexity.Windows, Context: 64, Batch: 128, Max: 2},
				Layout: kind, Tool: "test",
			}
			j.Options = find.Options{Goal: search.Goal{Blocks: 2}, Unit: blockmask.Ffn, Method: find.Method{Strategy: "random"}}
			out, err := prune.Run(t.Context(), j, new(progresstest.Listener))
			if err != nil {
				t.Fatal(err)
			}

			f, err := gguf.Open(out.Write.Path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			m, err := llamabind.LoadModel(t.Context(), out.Write.Path, engine.ModelParams{})
			if err != nil {
				t.Fatal(err)
			}
			params := m.Info().Params
			m.Close()
			if whole := out.Write.Layout.ParamsTotal; f.Params() != params || out.Write.Layout.Params != params || params <= whole-out.Write.Layout.ParamsRemoved {
				t.Errorf("llama.cpp counts %d, the file has %d, planned were %d of %d, without blocks of %d",
					params, f.Params(), out.Write.Layout.Params, whole, out.Write.Layout.ParamsRemoved)
			}

			count, gone := format.Count(params), fmt.Sprintf("%.1f%%", 100*(1-float64(params)/float64(out.Write.Layout.ParamsTotal)))
			var summary, object bytes.Buffer
			for _, u := range []*ui.UI{ui.New(ui.Options{Out: &summary, Err: t.Output()}), ui.New(ui.Options{Out: &object, Err: t.Output(), JSON: true})} {
				if err := render.Outcome(u, "prune", out, "", nil); err != nil {
					t.Fatal(err)
				}
			}
			in, err := report.OfPrune(out, "")
			if err != nil {
				t.Fatal(err)
			}
			html, err := page.HTML(in)
			if err != nil {
				t.Fatal(err)
			}
			card, err := page.Card(in)
			if err != nil {
				t.Fatal(err)
			}
			for what, c := range map[string]struct{ text, want string }{
				"summary":      {summary.String(), fmt.Sprintf("%s parameters (%s gone)", count, gone)},
				"JSON":         {object.String(), fmt.Sprintf(`"params": %d,`, params)},
				"page":         {string(html), fmt.Sprintf("<dd>%s</dd><dd class=\"note\">%s left of 11.5M</dd>", gone, count)},
				"page's facts": {string(html), fmt.Sprintf("<dt>parameters</dt><dd>%s (%d)</dd>", count, params)},
				"card":         {string(card), fmt.Sprintf("| parameters | 11.5M | %s (%s gone) |", count, gone)},
				"card's facts": {string(card), fmt.Sprintf("| parameters | <code>%s (%d)</code> |", count, params)},
				"size label":   {source.Text(f, "general.size_label"), labels[kind]},
				"name":         {source.Text(f, "general.name"), "Tiny Llama " + labels[kind] + " ("},
			} {
				if !strings.Contains(c.text, c.want) {
					t.Errorf("the %s lacks %q:\n%.3000s", what, c.want, c.text)
				}
			}
		})
	}
}
