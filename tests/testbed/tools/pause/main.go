// pause keeps a sandbox or a container running until it is told to end: pause, or pause DURATION to end by itself.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	told := make(chan os.Signal, 1)
	// The first process of a container ignores signals that it does not ask for.
	signal.Notify(told, syscall.SIGTERM, syscall.SIGINT)
	var over <-chan time.Time
	if len(os.Args) > 1 {
		duration, err := time.ParseDuration(os.Args[1])
		if err != nil {
			fmt.Fprintln(os.Stderr, "pause:", err)
			os.Exit(2)
		}
		over = time.After(duration)
	}
	select {
	case <-told:
	case <-over:
	}
}
