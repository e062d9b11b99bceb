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
	// A name of llama.cpp's stands for its template; anything else is Jinja.
	turns := []engine.Message{{Role: "system", Content: "Be kind."}, {Role: "user", Content: "Hi"}, {Role: "assistant", Content: strings.Repeat("long ", 2000)}}
	for name, want := range map[string]string{
		"chatml": "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n" + turns[2].Content + "<|im_end|>\n",
		"llama3": "<|start_header_id|>system<|end_header_id|>\n\nBe kind.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>" +
			"<|start_header_id|>assistant<|end_header_id|>\n\n" + strings.TrimSpace(turns[2].Content) + "<|eot_id|>",
		"chatml ": "chatml ",
		"nobody":  "nobody",
	} {
		c, err := llamabind.NewChatTemplate(name, "[B]", "[E]")
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if text, err := c.Apply(turns, false); err != nil || text != want {
				t.Errorf("%s: %.200q, %v", name, text, err)
			}
		}
		if text, err := c.Apply(turns[1:2], true); err != nil || name == "chatml" && text != "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n" {
			t.Errorf("%s with a reply: %q, %v", name, text, err)
		}
		c.Close()
	}
	for _, bad := range []string{"{% for %}", "{{", "{% if x %}", "a\x00b", strings.Repeat("x", 1<<20+1)} {
		if c, err := llamabind.NewChatTemplate(bad, "", ""); err == nil {
			c.Close()
			t.Errorf("%.20q was read", bad)
		}
	}
}
