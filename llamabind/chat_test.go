package llamabind_test

import (
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/llamabind"
)

// What a template says, refuses or cannot be is told in one line; the engine survives it and goes on.
func TestChatTemplate(t *testing.T) {
	const source = "{{ bos_token }}{% for m in messages %}{% if m.role == 'tool' %}{{ raise_exception('no tools here') }}{% endif %}" +
		"<{{ m.role }}>{{ m.content | trim }}{{ eos_token }}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
	c, err := llamabind.NewChatTemplate(source, "[B]", "[E]")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ask := []engine.Message{{Role: "user", Content: " \u00e4\x00\n"}}
	for range 2 {
		if text, err := c.Apply(ask, false); err != nil || text != "[B]<user>\u00e4[E]" {
			t.Errorf("%q, %v", text, err)
		}
		if text, err := c.Apply(ask, true); err != nil || text != "[B]<user>\u00e4[E]<assistant>" {
			t.Errorf("%q, %v", text, err)
		}
		_, err := c.Apply([]engine.Message{{Role: "tool"}}, false)
		if err == nil || !strings.Contains(err.Error(), "no tools here") || strings.Contains(err.Error(), "\n") {
			t.Errorf("refusal: %v", err)
		}
	}
	if text, err := c.Apply(nil, false); err != nil || text != "[B]" {
		t.Errorf("no messages: %q, %v", text, err)
	}
	for _, bad := range []string{"{% for %}", "{{", "{% if x %}", "a\x00b", strings.Repeat("x", 1<<20+1)} {
		if c, err := llamabind.NewChatTemplate(bad, "", ""); err == nil {
			c.Close()
			t.Errorf("%.20q was read", bad)
		}
	}
}
