package ollama

// Prompts are asked where the user names none: each makes sense as the beginning of a text and as a message.
var Prompts = []string{
	"The three largest cities of Japan are",
	"Write one sentence about the sea in winter.",
	"def fibonacci(n):",
	"A train leaves at 14:20 and arrives at 16:05. The journey takes",
	"Translate into French: The book lies on the table.",
	"The difference between a virus and a bacterium is",
}
