// Package progress is how jobs tell what they are doing. They print nothing: package ui does.
package progress
