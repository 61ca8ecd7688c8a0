// Command peer judges a log with upstream's own types and evaluator: peer std|sonic POLICY LOG.
//
// It decodes every line to an audit event and asks the evaluator what the policy says, on one processor. It checks
// nothing about the event, so it does less than kaudit verify does.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"runtime"

	"github.com/bytedance/sonic"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	auditpolicy "k8s.io/apiserver/pkg/audit/policy"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

func main() {
	runtime.GOMAXPROCS(1)
	decode := json.Unmarshal
	if os.Args[1] == "sonic" {
		decode = sonic.Unmarshal
	}
	policy, err := auditpolicy.LoadPolicyFromFile(os.Args[2])
	check(err)
	evaluator := auditpolicy.NewPolicyRuleEvaluator(policy)
	file, err := os.Open(os.Args[3])
	check(err)
	levels := map[string]int{}
	lines := bufio.NewScanner(file)
	lines.Buffer(make([]byte, 1<<20), 1<<26)
	for lines.Scan() {
		var event auditv1.Event
		check(decode(lines.Bytes(), &event))
		levels[string(evaluator.EvaluatePolicyRule(attributes(&event)).Level)]++
	}
	check(lines.Err())
	fmt.Println(levels)
}

func attributes(event *auditv1.Event) authorizer.Attributes {
	found := authorizer.AttributesRecord{
		User: &user.DefaultInfo{Name: event.User.Username, Groups: event.User.Groups},
		Verb: event.Verb,
		Path: event.RequestURI,
	}
	if ref := event.ObjectRef; ref != nil {
		found.ResourceRequest = true
		found.Namespace, found.Name = ref.Namespace, ref.Name
		found.APIGroup, found.APIVersion = ref.APIGroup, ref.APIVersion
		found.Resource, found.Subresource = ref.Resource, ref.Subresource
	}
	return found
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
