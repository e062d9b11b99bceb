package cgroup

import (
	"testing"
	"testing/fstest"
)

func TestMemoryLimit(t *testing.T) {
	t.Parallel()
	const groups = "proc/self/cgroup"
	for name, c := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"another system": {},
		"none":           {map[string]string{groups: "0::/user.slice\n", "sys/fs/cgroup/user.slice/memory.max": "max\n"}, 0},
		"its own": {map[string]string{
			groups: "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "3000\n", "sys/fs/cgroup/a/memory.max": "max\n",
			"sys/fs/cgroup/other/memory.max": "1\n",
		}, 3000},
		"a parent's": {map[string]string{
			groups: "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "3000\n", "sys/fs/cgroup/a/memory.max": "2000\n",
		}, 2000},
		"a container's":             {map[string]string{groups: "0::/\n", "sys/fs/cgroup/memory.max": "4000\n"}, 4000},
		"a path outside":            {map[string]string{groups: "0::/../../x\n", "sys/fs/cgroup/memory.max": "4000\n"}, 4000},
		"a folder of its own":       {map[string]string{groups: "1:cpu:/\n0::/a\n", "sys/fs/cgroup/unified/a/memory.max": "5000\n"}, 5000},
		"version 1":                 {map[string]string{groups: "2:cpu,memory:/a\n0::/\n", "sys/fs/cgroup/memory/a/memory.limit_in_bytes": "6000\n"}, 6000},
		"version 1, seen inside":    {map[string]string{groups: "2:memory:/docker/a\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "7000\n"}, 7000},
		"version 1, none":           {map[string]string{groups: "2:memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 0},
		"not memory's":              {map[string]string{groups: "2:memory2:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "7\n"}, 0},
		"a colon in the path":       {map[string]string{groups: "0::/a:b\n", "sys/fs/cgroup/a:b/memory.max": "8000\n"}, 8000},
		"lines that are none of it": {map[string]string{groups: "\nnonsense\n0::/\n", "sys/fs/cgroup/memory.max": "lots\n"}, 0},
	} {
		root := fstest.MapFS{}
		for file, text := range c.files {
			root[file] = &fstest.MapFile{Data: []byte(text)}
		}
		if got := MemoryLimit(root); got != c.want {
			t.Errorf("%s: %d bytes, want %d", name, got, c.want)
		}
	}
}
