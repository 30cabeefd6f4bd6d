package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"
)

// Where Multus keeps libcni's results, and the list of delegates of each container.
const cache = "/var/lib/cni/multus"

func add(conf *config, args *skel.CmdArgs) ([]byte, error) {
	pod, err := readPod(conf, args)
	if err == nil && pod == nil {
		err = fmt.Errorf("the pod is not there, or is another one")
	}
	if err != nil {
		return nil, err
	}
	delegates, err := conf.delegates(pod)
	if err != nil {
		return nil, err
	}
	kept, err := json.Marshal(delegates)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return nil, err
	}
	if err := os.WriteFile(list(args), kept, 0o600); err != nil {
		return nil, fmt.Errorf("keep the list of delegates: %w", err)
	}
	var first types.Result
	var attached []networkStatus
	for index, delegate := range delegates {
		result, err := delegate.add(args, index)
		if err != nil {
			// Whatever they answer: the caller hears of the first failure.
			undo(delegates[:index+1], args)
			return nil, fmt.Errorf("delegate %s (%s): %w", delegate.Name, delegate.ifName(args, index), err)
		}
		if index == 0 {
			first = result
		}
		status, err := newStatus(delegate, delegate.ifName(args, index), index == 0, result)
		if err != nil {
			return nil, err
		}
		attached = append(attached, status)
	}
	if err := pod.report(conf, attached); err != nil {
		return nil, err
	}
	wanted, err := first.GetAsVersion(conf.CNIVersion)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = wanted.PrintTo(&out)
	return out.Bytes(), err
}

func del(conf *config, args *skel.CmdArgs) error {
	var delegates []delegate
	kept, err := os.ReadFile(list(args))
	if err == nil {
		// Removed even if a delegate fails: what comes later goes by the pod.
		_ = os.Remove(list(args))
		err = json.Unmarshal(kept, &delegates)
	} else {
		var pod *pod
		if pod, err = readPod(conf, args); err != nil || pod == nil {
			return nil
		}
		delegates, err = conf.delegates(pod)
	}
	if err != nil {
		return err
	}
	return undo(delegates, args)
}

// undo detaches in reverse order, and returns what went wrong.
func undo(delegates []delegate, args *skel.CmdArgs) error {
	var wrong []string
	for index := len(delegates) - 1; index >= 0; index-- {
		if err := delegates[index].del(args, index); err != nil {
			wrong = append(wrong, fmt.Sprintf("delegate %s: %v", delegates[index].Name, err))
		}
	}
	if wrong != nil {
		return fmt.Errorf("%s", strings.Join(wrong, "; "))
	}
	return nil
}

func (c *config) status(args *skel.CmdArgs) error {
	network, err := libcni.ConfListFromBytes(c.Delegates[0])
	if err != nil {
		return err
	}
	return runner(args).GetStatusNetworkList(context.Background(), network)
}

func (c *config) gc(args *skel.CmdArgs) error {
	network, err := libcni.ConfListFromBytes(c.Delegates[0])
	if err != nil {
		return err
	}
	var valid libcni.GCArgs
	if err := json.Unmarshal(args.StdinData, &struct {
		Valid *[]types.GCAttachment `json:"cni.dev/valid-attachments"`
	}{&valid.ValidAttachments}); err != nil {
		return err
	}
	return runner(args).GCNetworkList(context.Background(), network, &valid)
}

func (d *delegate) add(args *skel.CmdArgs, index int) (types.Result, error) {
	// Not the caller's context: nothing ends a delegate that runs.
	all, one, err := d.network()
	if err != nil {
		return nil, err
	}
	if one != nil {
		return runner(args).AddNetwork(context.Background(), one, d.runtime(args, index))
	}
	return runner(args).AddNetworkList(context.Background(), all, d.runtime(args, index))
}

func (d *delegate) del(args *skel.CmdArgs, index int) error {
	all, one, err := d.network()
	if err != nil {
		return err
	}
	if one != nil {
		return runner(args).DelNetwork(context.Background(), one, d.runtime(args, index))
	}
	return runner(args).DelNetworkList(context.Background(), all, d.runtime(args, index))
}

// network is the configuration, as a list or as a single plugin.
func (d *delegate) network() (*libcni.NetworkConfigList, *libcni.PluginConfig, error) {
	var shape struct {
		Plugins []json.RawMessage `json:"plugins"`
	}
	if err := json.Unmarshal(d.Config, &shape); err != nil {
		return nil, nil, err
	}
	if shape.Plugins == nil {
		one, err := libcni.ConfFromBytes(d.Config)
		return nil, one, err
	}
	all, err := libcni.ConfListFromBytes(d.Config)
	return all, nil, err
}

func (d *delegate) ifName(args *skel.CmdArgs, index int) string {
	switch {
	case index == 0:
		return args.IfName
	case d.Interface != "":
		return d.Interface
	default:
		return fmt.Sprintf("net%d", index)
	}
}

func (d *delegate) runtime(args *skel.CmdArgs, index int) *libcni.RuntimeConf {
	given := arguments(args)
	runtime := &libcni.RuntimeConf{
		ContainerID: args.ContainerID,
		NetNS:       args.Netns,
		IfName:      d.ifName(args, index),
		Args:        [][2]string{{"IgnoreUnknown", "true"}},
	}
	for _, key := range []string{"K8S_POD_NAMESPACE", "K8S_POD_NAME", "K8S_POD_INFRA_CONTAINER_ID", "K8S_POD_UID"} {
		runtime.Args = append(runtime.Args, [2]string{key, given[key]})
	}
	capabilities := map[string]any{}
	if index > 0 && d.Mac != "" {
		runtime.Args = append(runtime.Args, [2]string{"MAC", d.Mac})
		capabilities["mac"] = d.Mac
	}
	if index > 0 && len(d.IPs) > 0 {
		runtime.Args = append(runtime.Args, [2]string{"IP", strings.Join(d.IPs, ",")})
		capabilities["ips"] = d.IPs
	}
	runtime.CapabilityArgs = capabilities
	return runtime
}

func runner(args *skel.CmdArgs) *libcni.CNIConfig {
	return libcni.NewCNIConfigWithCacheDir(filepath.SplitList(args.Path), cache, nil)
}

// list is the file of a container's delegates.
func list(args *skel.CmdArgs) string {
	return filepath.Join(cache, args.ContainerID)
}

// arguments are those of CNI_ARGS.
func arguments(args *skel.CmdArgs) map[string]string {
	given := map[string]string{}
	for _, pair := range strings.Split(args.Args, ";") {
		if key, value, ok := strings.Cut(pair, "="); ok {
			given[key] = value
		}
	}
	return given
}

// networkStatus is an item of the annotation network-status.
type networkStatus struct {
	Name      string   `json:"name"`
	Interface string   `json:"interface,omitempty"`
	IPs       []string `json:"ips,omitempty"`
	Mac       string   `json:"mac,omitempty"`
	Default   bool     `json:"default,omitempty"`
	DNS       struct{} `json:"dns"`
}

func newStatus(d delegate, ifName string, first bool, result types.Result) (networkStatus, error) {
	status := networkStatus{Name: d.Name, Interface: ifName, Default: first}
	of, err := current.NewResultFromResult(result)
	if err != nil {
		return status, err
	}
	for _, link := range of.Interfaces {
		if link.Sandbox != "" && link.Name == ifName {
			status.Mac = link.Mac
		}
	}
	for _, ip := range of.IPs {
		status.IPs = append(status.IPs, ip.Address.IP.String())
	}
	return status, nil
}
