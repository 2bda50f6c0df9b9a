package metadata

import (
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// tree is a folder of what a guest may read: each entry a tree, a string or a
// keyList.
type tree map[string]any

// keyList is the folder of an instance's keys, which EC2 lists as `0=name` and
// has at 0/openssh-key.
type keyList []key

// openStackRoot is the tree of OpenStack; all else is EC2's.
const openStackRoot = "openstack"

// serveConfigured answers from the configuration.
func (s *Server) serveConfigured(w http.ResponseWriter, c *call) {
	path := strings.Trim(c.URL.Path, "/")
	parts := strings.Split(path, "/")
	if parts[0] == openStackRoot {
		serveTree(w, c, openStack(c), parts[1:])
		return
	}
	if len(parts) == 3 && parts[1] == "api" && parts[2] == "token" {
		s.serveToken(w, c)
		return
	}
	// A token is not asked for, but one that is shown has to hold.
	if t := c.Header.Get(tokenHeader); t != "" && !s.tokens.valid(t, c.port.Key, s.now()) {
		http.Error(w, "the token has ended, or was another's", http.StatusUnauthorized)
		return
	}
	if path == "" {
		parts = nil
	}
	serveTree(w, c, ec2(c), parts)
}

// serveTree answers what stands at a path of a tree.
func serveTree(w http.ResponseWriter, c *call, root tree, path []string) {
	if c.Method != http.MethodGet && c.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "there is only to read here", http.StatusMethodNotAllowed)
		return
	}
	text, ok := lookUp(root, path)
	if !ok {
		http.Error(w, "there is nothing of that name", http.StatusNotFound)
		return
	}
	kind := "text/plain; charset=utf-8"
	if len(path) > 0 && strings.HasSuffix(path[len(path)-1], ".json") {
		kind = "application/json"
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "no-store")
	_, _ = io.WriteString(w, text) // whoever asked has gone
}

// lookUp is what stands at a path, or the names there are in a folder.
func lookUp(t tree, path []string) (text string, ok bool) {
	for i, name := range path {
		switch entry := t[name].(type) {
		case tree:
			t = entry
		case string:
			return entry, i == len(path)-1
		case keyList:
			return entry.lookUp(path[i+1:])
		default:
			return "", false
		}
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(t)) {
		if _, leaf := t[name].(string); !leaf {
			name += "/"
		}
		names = append(names, name)
	}
	return strings.Join(names, "\n"), true
}

func (l keyList) lookUp(path []string) (text string, ok bool) {
	var names []string
	for i, k := range l {
		index := strconv.Itoa(i)
		names = append(names, index+"="+k.name)
		if len(path) > 0 && path[0] == index {
			t := tree{"openssh-key": k.line + "\n"}
			return lookUp(t, path[1:])
		}
	}
	return strings.Join(names, "\n"), len(path) == 0
}
