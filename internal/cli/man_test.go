package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/internal/cli/flags"
)

var roffEscape = strings.NewReplacer(`\-`, "-", `\fB`, "", `\fR`, "", `\fI`, "", `\e`, `\`, `\(ti`, "~", `\(ha`, "^", `\(ga`, "`", `\(dq`, `"`, `\&`, "")

// The page has every command, every example, and every flag of every command in every form with its text.
func TestManPage(t *testing.T) {
	t.Parallel()
	raw, err := run("man")
	if err != nil {
		t.Fatal(err)
	}
	page := roffEscape.Replace(raw)
	for _, cmd := range theCommands() {
		if !strings.Contains(page, "\n.SH \""+strings.ToUpper(cmd.Name())+"\"\n.B \"ggufprune "+cmd.Name()) {
			t.Errorf("%s has no section", cmd.Name())
		}
		for _, form := range formsOf(cmd) {
			if !regexp.MustCompile(`(?m)(^|, )` + form + `(,| |$)`).MatchString(page) {
				t.Errorf("%s: %s is not on the page", cmd.Name(), form)
			}
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if text := strings.ReplaceAll(flags.Usage(f), "\n", "\n.br\n"); !strings.Contains(page, "\n"+text+"\n") {
				t.Errorf("%s: the text of --%s is not on the page", cmd.Name(), f.Name)
			}
		})
		for example := range strings.Lines(cmd.Example) {
			if !strings.Contains(page, "\n"+strings.TrimSpace(example)+"\n") {
				t.Errorf("%s: the example %q is not on the page", cmd.Name(), example)
			}
		}
	}
	path := filepath.Join(t.TempDir(), "ggufprune.1")
	if err := os.WriteFile(path, []byte(raw), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Run("man", func(t *testing.T) {
		have(t, "man")
		cmd := exec.Command("man", "-l", path)
		cmd.Env = append(os.Environ(), "MANPAGER=cat", "MANWIDTH=100", "LC_ALL=C")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "prune -m model.gguf --ratio 0.2") {
			t.Errorf("%v: %.400s", err, out)
		}
	})
	t.Run("mandoc", func(t *testing.T) {
		have(t, "mandoc")
		if out, err := exec.Command("mandoc", "-T", "lint", "-W", "error", path).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%v: %s", err, out)
		}
	})
	t.Run("groff", func(t *testing.T) {
		have(t, "groff")
		if out, err := exec.Command("groff", "-man", "-ww", "-z", "-T", "utf8", path).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%v: %s", err, out)
		}
	})
}
