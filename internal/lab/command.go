package lab

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// commandWithin is a command in a named namespace, which the end of ctx kills. `ip
// netns exec` becomes the command, so the process is the caller's own child.
func commandWithin(ctx context.Context, namespace, name string, args ...string) *exec.Cmd {
	ip, err := tool("ip")
	if err != nil {
		ip = "ip"
	}
	return exec.CommandContext(ctx, ip, append([]string{"netns", "exec", namespace, name}, args...)...)
}

// run runs a tool with input on its standard input and gives its standard
// output. A nil env is this process's own. An error names the whole command
// and holds what it printed.
func run(ctx context.Context, env []string, input, name string, args ...string) (string, error) {
	path, err := tool(name)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, commandLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = env
	cmd.Stdin = strings.NewReader(input)
	return output(ctx, cmd, strings.Join(append([]string{name}, args...), " "))
}

// output runs a command that is called what in errors.
func output(ctx context.Context, cmd *exec.Cmd, what string) (string, error) {
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return out.String(), fmt.Errorf("%s: %w: %s", what, err, strings.TrimSpace(complaint.String()))
	}
	return out.String(), nil
}
