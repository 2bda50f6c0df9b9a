package pulse

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// MaxFrame is room for the longest frame that a device with the highest MTU
// carries: Ethernet header, tag and 65,535 octets.
const MaxFrame = 14 + 4 + 65535

// readerRoom is what one Read takes in at most, in octets; the last frame of a
// batch must still find room for the longest.
const readerRoom = 4 * MaxFrame

// ErrOver says that the pulse is over: its Tap was closed, or somebody removed the
// device.
var ErrOver = errors.New("the pulse is over")

// Reader reads frames, one system call each, which wait for none once there is
// one. It is for one goroutine.
type Reader struct {
	t     *Tap
	buf   []byte
	batch [][]byte
	n     int
	wrong error
	read  func(fd uintptr) bool
}

// NewReader returns a Reader of t.
func (t *Tap) NewReader() *Reader {
	r := &Reader{t: t, buf: make([]byte, readerRoom)}
	r.read = r.take
	return r
}

// Read waits until there is a frame and returns as many as there are, up to
// len(batch), valid until the next call. The error is ErrOver, or
// os.ErrDeadlineExceeded behind Linger.
func (r *Reader) Read(batch [][]byte) (int, error) {
	r.batch, r.n, r.wrong = batch, 0, nil
	err := r.t.conn.Read(r.read)
	if r.n > 0 {
		return r.n, nil
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return 0, err
	}
	r.t.end()
	return 0, fmt.Errorf("%w: %w", ErrOver, errors.Join(err, r.wrong))
}

// take reads until there is nothing more; false means that there was nothing.
func (r *Reader) take(fd uintptr) bool {
	for used := 0; r.n < len(r.batch) && len(r.buf)-used >= MaxFrame; {
		n, errno := atOnce(unix.SYS_READ, fd, r.buf[used:used+MaxFrame])
		switch errno {
		case 0:
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			return r.n > 0
		default:
			r.wrong = errno
			return true
		}
		r.batch[r.n] = r.buf[used : used+n : used+n]
		r.n++
		used += n
	}
	return true
}

// Writer writes frames, one system call each. It is for one goroutine.
type Writer struct {
	t      *Tap
	frames [][]byte
	failed int
	wrong  error
	write  func(fd uintptr) bool
}

// NewWriter returns a Writer to t.
func (t *Tap) NewWriter() *Writer {
	w := &Writer{t: t}
	w.write = w.put
	return w
}

// Write sends frames to the switch in their order. One that the device does not
// take keeps the others from nothing; failed is how many there were and err why
// the first was not taken: ErrOver if none can be.
func (w *Writer) Write(frames [][]byte) (failed int, err error) {
	w.frames, w.failed, w.wrong = frames, 0, nil
	if err := w.t.conn.Write(w.write); err != nil {
		return len(frames), fmt.Errorf("%w: %w", ErrOver, err)
	}
	return w.failed, w.wrong
}

// put never has the runtime wait: the device takes a frame at once or not at all.
func (w *Writer) put(fd uintptr) bool {
	for _, f := range w.frames {
		_, errno := atOnce(unix.SYS_WRITE, fd, f)
		for errno == unix.EINTR {
			_, errno = atOnce(unix.SYS_WRITE, fd, f)
		}
		if errno != 0 {
			w.failed++
			if w.wrong == nil {
				w.wrong = errno
			}
		}
	}
	return true
}

// atOnce is a read or write of a file that never has a caller wait, so that the
// runtime need not know: telling it costs a tenth of the call, and wakes its monitor.
func atOnce(call, fd uintptr, b []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall(call, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	return int(n), errno
}
