package agent

import (
	"log/slog"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// niceness is what ovs-ctl(8) starts ovs-vswitchd with. Who answers for the switch
// waits for a processor no longer than the switch does: else, while a guest floods,
// all others wait for their answers as long as the scheduler lets a busy guest run.
const niceness = -10

// raisePriority gives the process ovs-vswitchd's niceness, unless whoever started it
// gave it one. It takes CAP_SYS_NICE; without, it goes on as it is.
func raisePriority(log *slog.Logger) {
	// The system call says 20 less the niceness (getpriority(2)).
	if now, err := unix.Getpriority(unix.PRIO_PROCESS, 0); err != nil || now != 20 {
		return
	}
	// To Linux niceness is a thread's, and one that begins has that of the one which
	// began it. So a second look finds those that began during the first.
	for range 2 {
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return
		}
		for _, t := range threads {
			id, err := strconv.Atoi(t.Name())
			if err != nil {
				continue
			}
			switch err := unix.Setpriority(unix.PRIO_PROCESS, id, niceness); err {
			case nil, unix.ESRCH: // one that has ended
			default:
				log.Debug("no priority beside ovs-vswitchd", "error", err)
				return
			}
		}
	}
}
