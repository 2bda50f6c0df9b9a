package annex

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// newStack makes the stack in a network namespace of its own.
func newStack(c Config) (tunnel *os.File, l net.Listener, err error) {
	tunnel, l, err = byThread(c)
	if errors.Is(err, unix.EPERM) {
		tunnel, l, err = byChild(c)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("a network namespace for the port's stack: %w", err)
	}
	return tunnel, l, nil
}

// byThread sets up on a thread that leaves the process's namespace for one that
// nobody has seen, and ends in it.
func byThread(c Config) (tunnel *os.File, l net.Listener, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good: nobody else is to get a thread that is elsewhere
		if unix.Gettid() == unix.Getpid() {
			// The first thread never ends, and where it is, /proc says the process
			// is. While it is held here, another is taken.
			defer runtime.UnlockOSThread()
			tunnel, l, err = byThread(c)
			return
		}
		if err = unix.Unshare(unix.CLONE_NEWNET); err != nil {
			err = fmt.Errorf("making it takes root, or CAP_NET_ADMIN and a kernel that lets users make namespaces: %w", err)
			return
		}
		tunnel, l, err = setUp(c)
	}()
	<-done
	return tunnel, l, err
}

// childName is what the child is called, by which it knows itself.
const childName = "damselfly-namespace"

// childSocket is the descriptor over which it hands over what it made.
const childSocket = 3

// byChild has a child set up in a user namespace, in which the process may do
// what it may not outside. The process must call Child first of all.
func byChild(c Config) (tunnel *os.File, l net.Listener, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "namespace"), os.NewFile(uintptr(pair[1]), "namespace")
	defer ours.Close()
	// A binary with file capabilities hides its /proc from itself, where the
	// user namespace's mapping has to be written.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0); err != nil {
		return nil, nil, errors.Join(err, theirs.Close())
	}
	var said strings.Builder
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = append([]string{childName}, c.args()...)
	cmd.Stderr = &said
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
	}
	err = errors.Join(cmd.Start(), theirs.Close())
	if err != nil {
		return nil, nil, err
	}
	tunnel, l, received := receive(pair[0])
	if err := cmd.Wait(); err != nil {
		return nil, nil, fmt.Errorf("a child to make it: %w: %s", err, strings.TrimSpace(said.String()))
	}
	return tunnel, l, received
}

// receive takes over what the child made.
func receive(socket int) (tunnel *os.File, l net.Listener, err error) {
	oob := make([]byte, unix.CmsgSpace(2*4))
	_, n, _, _, err := unix.Recvmsg(socket, make([]byte, 1), oob, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return nil, nil, err
	}
	messages, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil || len(messages) != 1 {
		return nil, nil, errors.Join(errors.New("the child handed nothing over"), err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 2 {
		return nil, nil, errors.Join(errors.New("the child handed something else over"), err)
	}
	socketFile := os.NewFile(uintptr(fds[1]), "listener")
	defer socketFile.Close()
	if l, err = net.FileListener(socketFile); err != nil {
		return nil, nil, errors.Join(err, unix.Close(fds[0]))
	}
	if err = unix.SetNonblock(fds[0], true); err != nil {
		return nil, nil, errors.Join(err, unix.Close(fds[0]), l.Close())
	}
	return os.NewFile(uintptr(fds[0]), devicePath), l, nil
}

// Child is the child's whole life, where this process is one: it sets up, hands
// over and exits. A program that opens an Annex calls it first.
func Child() {
	if len(os.Args) == 0 || os.Args[0] != childName {
		return
	}
	if err := handOver(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func handOver(args []string) error {
	c, err := parseArgs(args)
	if err != nil {
		return err
	}
	tunnel, l, err := setUp(c)
	if err != nil {
		return err
	}
	socket, err := l.(*net.TCPListener).File()
	if err != nil {
		return err
	}
	return unix.Sendmsg(childSocket, []byte{0}, unix.UnixRights(int(tunnel.Fd()), int(socket.Fd())), nil, 0)
}
