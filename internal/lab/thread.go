package lab

// thread is one operating system thread inside a namespace for as long as the
// lab lives. The daemons are its children: their death signal is tied to the
// thread that started them, and this one ends only with the process or with
// the lab.
type thread struct {
	work chan func()
	done chan struct{}
}

// newThread starts the thread in the named namespace.
func newThread(namespace string) (*thread, error) {
	t := &thread{work: make(chan func()), done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		defer close(t.done)
		leave, err := enter(namespace)
		started <- err
		if err != nil {
			return
		}
		defer leave()
		for f := range t.work {
			f()
		}
	}()
	return t, <-started
}

// do runs f on the thread and waits for it.
func (t *thread) do(f func() error) error {
	result := make(chan error, 1)
	t.work <- func() { result <- f() }
	return <-result
}

// close ends the thread; do must not be called any more.
func (t *thread) close() {
	close(t.work)
	<-t.done
}
