// Package reporttest looks at the report's page as a reader does: in Chromium. It has nothing but tests.
package reporttest
