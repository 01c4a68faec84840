{{- /* docker-registry.contradictions.pods (root context): a line `- sentence` each, about the workload. */}}
{{- define "docker-registry.contradictions.pods" -}}
{{- include "docker-registry.contradictions.image" (list "image" .Values.image) }}
{{- include "docker-registry.duration" (list "preStopDelay" .Values.preStopDelay "seconds" "empty") }}
{{- $drain := include "docker-registry.configured" (list . "http" "draintimeout") }}
{{- if not (regexMatch "^([0-9]+|([0-9]+([.][0-9]+)?(ns|us|µs|ms|s|m|h))+)?$" $drain) }}
- configData.http.draintimeout: {{ quote $drain }} is not a duration that the registry reads, such as 10s or 1m30s.
{{- end }}
{{- $stop := include "docker-registry.stopSeconds" . | int }}
{{- $period := include "docker-registry.terminationGracePeriod" . | int }}
{{- if le $period $stop }}
- terminationGracePeriodSeconds is {{ $period }}, but the pod waits for preStopDelay and configData.http.draintimeout, {{ $stop }} seconds in all, and would be killed before. Remove terminationGracePeriodSeconds: the chart then computes it.
{{- end }}
{{- with .Values.podDisruptionBudget }}
{{- $least := not (kindIs "invalid" .minAvailable) }}
{{- $most := not (kindIs "invalid" .maxUnavailable) }}
{{- if and $least $most }}
- podDisruptionBudget has both minAvailable and maxUnavailable, of which a cluster takes one. Remove one.
{{- else if not (or $least $most) }}
- podDisruptionBudget has neither minAvailable nor maxUnavailable. Set one of them, such as maxUnavailable: 1, or remove podDisruptionBudget.
{{- end }}
{{- end }}
{{- with .Values.autoscaling }}
{{- if and .enabled (gt (int .minReplicas) (int .maxReplicas)) }}
- autoscaling.minReplicas is {{ int .minReplicas }}, which is more than autoscaling.maxReplicas, {{ int .maxReplicas }}. Exchange them.
{{- end }}
{{- end }}
{{- if and .Values.useStatefulSet (eq (get .Values.updateStrategy "type" | toString) "Recreate") }}
- updateStrategy.type is Recreate, which a StatefulSet (useStatefulSet: true) does not have. Remove updateStrategy: one pod is replaced after another.
{{- end }}
{{- range $key := list "startupProbe" "livenessProbe" "readinessProbe" }}
{{- $probe := get $.Values $key }}
{{- $handlers := list }}
{{- range $handler := list "exec" "grpc" "httpGet" "tcpSocket" }}
{{- if get $probe $handler }}
{{- $handlers = append $handlers $handler }}
{{- end }}
{{- end }}
{{- if gt (len $handlers) 1 }}
- {{ $key }} has {{ join " and " $handlers }}, of which a cluster takes one. Remove one.
{{- end }}
{{- end }}
{{- range $at, $variable := .Values.extraEnvVars }}
{{- if not $variable.name }}
- extraEnvVars[{{ $at }}] has no name. Give it one, or remove it.
{{- end }}
{{- end }}
{{- if .Values.tests.enabled }}
{{- include "docker-registry.duration" (list "tests.timeout" .Values.tests.timeout) }}
{{- end }}
{{- end }}

{{- /* docker-registry.contradictions.image (list NAME IMAGE) */}}
{{- define "docker-registry.contradictions.image" -}}
{{- $name := index . 0 }}
{{- with index . 1 }}
{{- if and .digest (not (regexMatch "^sha256:[0-9a-f]{64}$|^sha512:[0-9a-f]{128}$" .digest)) }}
- {{ $name }}.digest: {{ quote .digest }} is not `sha256:` and 64 digits. Copy the whole digest, or remove it.
{{- end }}
{{- if not .repository }}
- {{ $name }}.repository is empty. Set the image's name, such as registry.
{{- else if contains ":" (.repository | splitList "/" | last) }}
- {{ $name }}.repository is {{ .repository }}, which has a tag in it. Set {{ $name }}.repository: {{ regexReplaceAll ":[^:/]*$" .repository "" }} and {{ $name }}.tag: {{ regexFind "[^:/]*$" .repository | quote }}.
{{- end }}
{{- end }}
{{- end }}
