// Package cgroup tells how much memory Linux lets the control groups of this process have: containers and jobs often have less than the
// machine that they run on.
package cgroup

import (
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// MemoryLimit is the least limit in bytes of the groups that this process is in, versions 1 and 2; 0 if there is none, or the system is
// not Linux. root is the root of the file system.
func MemoryLimit(root fs.FS) int64 {
	groups, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0
	}
	least := int64(0)
	for line := range strings.Lines(string(groups)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3) // number, controllers, path
		if len(fields) < 3 {
			continue
		}
		for _, m := range mounts(fields[1]) {
			if l := limit(root, m, fields[2]); l > 0 && (least == 0 || l < least) {
				least = l
			}
		}
	}
	return least
}

// mount is where a hierarchy is found, and the name of its files with limits.
type mount struct{ dir, file string }

// mounts are those of the hierarchy with some controllers: version 2 names none. It has a folder of its own where version 1 is there, too.
func mounts(controllers string) []mount {
	switch {
	case controllers == "":
		return []mount{{"sys/fs/cgroup", "memory.max"}, {"sys/fs/cgroup/unified", "memory.max"}}
	case slices.Contains(strings.Split(controllers, ","), "memory"):
		return []mount{{"sys/fs/cgroup/memory", "memory.limit_in_bytes"}}
	}
	return nil
}

// limit is the least of a group and those that it is in, 0 if they have none. In a container the group may have a path that is only there
// outside: then what is mounted counts, which is the container's own group.
func limit(root fs.FS, m mount, group string) int64 {
	least := int64(0)
	for group = path.Clean("/" + group); ; group = path.Dir(group) {
		text, err := fs.ReadFile(root, path.Join(m.dir, group, m.file))
		if err == nil {
			// "max" is no limit, and so is version 1's number close to the largest of 64 bits.
			n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
			if err == nil && n < 1<<62 && n > 0 && (least == 0 || n < least) {
				least = n
			}
		}
		if group == "/" {
			return least
		}
	}
}
