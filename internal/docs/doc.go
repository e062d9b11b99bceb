// Package docs holds the documents of this repository against the code; it has nothing but tests.
package docs
