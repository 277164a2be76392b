package uplink

import "sync"

// worker does one thing at a time beside the loop: what waits for a disk or the network is done here, and the loop never
// waits. A job returns what the loop has to do with its outcome; the loop does it in its own time.
type worker struct {
	jobs chan func() func()
	busy bool // touched by the loop only
}

// start makes a worker whose outcomes go to results until stop is closed. The loop must end with close(jobs).
func start(wg *sync.WaitGroup, results chan<- func(), stop <-chan struct{}) *worker {
	w := &worker{jobs: make(chan func() func(), 1)}
	wg.Go(func() {
		for job := range w.jobs {
			outcome := job()
			select {
			case results <- func() { w.busy = false; outcome() }:
			case <-stop:
				return
			}
		}
	})
	return w
}

// do hands over a job; the worker must not be busy.
func (w *worker) do(job func() func()) {
	w.busy = true
	w.jobs <- job // has room: one job at a time
}
