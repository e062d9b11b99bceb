// Package reporttest looks at the report's page as a reader does: in Chromium, which it finds in the path (make chromium installs Debian's).
// It has nothing but tests. Without Chromium they are skipped, except in CI, where they fail.
//
//	REPORT_SHOTS=DIR go test ./internal/reporttest    keeps pictures of the pages in that folder
package reporttest
