// multus stands in for Multus (k8snetworkplumbingwg/multus-cni), which cannot be had here: it attaches a pod to the
// cluster's network and to those of its annotations, by the same library (libcni), in the same order, with the same
// arguments.
//
// What it does as Multus v4 does:
//   - the cluster network is attached as the runtime says (eth0), then the configuration's defaultNetworks, then those of
//     the pod's annotation: net1, net2, … by their place among all of them, unless the annotation names an interface;
//   - a delegate gets CNI_ARGS of IgnoreUnknown and the four K8S_ keys, then IP and MAC as the annotation asks for them;
//     all delegates of a pod get the same container id;
//   - a delegate that fails undoes those before it and itself, in reverse order, whatever they answer;
//   - DEL goes by the list that ADD kept, in reverse order; without the list by the pod; without both it does nothing;
//   - STATUS and GC go to the cluster network alone;
//   - the annotation network-status is written once, after all delegates have succeeded;
//   - with "socket" it is thick: the plugin passes each call to a daemon (multus daemon SOCKET), which runs the delegates
//     in its own cgroup and goes on when the caller has given up. Its DEL always succeeds.
//
// What it does not do: devices, the item default-route, CHECK, isolation of namespaces, configurations in files, retries. It
// is no product: use Multus.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/cni/pkg/version"
)

// config is the plugin's part of the CNI configuration.
type config struct {
	types.NetConf
	// Kubeconfig is a file in JSON.
	Kubeconfig      string            `json:"kubeconfig"`
	Delegates       []json.RawMessage `json:"delegates"`
	DefaultNetworks []string          `json:"defaultNetworks"`
	// Namespace is where defaultNetworks without a namespace are.
	Namespace string `json:"multusNamespace"`
	// Socket is the daemon's; without one the plugin does the work itself.
	Socket string `json:"socket"`
}

func main() {
	if len(os.Args) == 3 && os.Args[1] == "daemon" {
		if err := serve(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, "multus:", err)
			os.Exit(1)
		}
		return
	}
	skel.PluginMainFuncs(skel.CNIFuncs{
		Add:    verb("ADD"),
		Del:    verb("DEL"),
		Check:  func(*skel.CmdArgs) error { return nil },
		GC:     verb("GC"),
		Status: verb("STATUS"),
	}, version.All, "multus: a stand-in for tests")
}

// verb answers a call of the runtime, here or by the daemon.
func verb(command string) func(*skel.CmdArgs) error {
	return func(args *skel.CmdArgs) error {
		conf, err := parse(args.StdinData)
		if err != nil {
			return err
		}
		var result []byte
		if conf.Socket != "" {
			result, err = ask(conf.Socket, command, args)
			if command == "DEL" {
				return nil
			}
		} else {
			result, err = do(command, args)
		}
		if err != nil {
			return err
		}
		_, err = os.Stdout.Write(result)
		return err
	}
}

// do carries a call out, and returns what is to be printed.
func do(command string, args *skel.CmdArgs) ([]byte, error) {
	conf, err := parse(args.StdinData)
	if err != nil {
		return nil, err
	}
	switch command {
	case "ADD":
		return add(conf, args)
	case "DEL":
		return nil, del(conf, args)
	case "GC":
		return nil, conf.gc(args)
	default:
		return nil, conf.status(args)
	}
}

func parse(stdin []byte) (*config, error) {
	conf := &config{Namespace: "kube-system"}
	if err := json.Unmarshal(stdin, conf); err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	if len(conf.Delegates) != 1 {
		return nil, fmt.Errorf("delegates: one is wanted, the cluster network")
	}
	return conf, nil
}
