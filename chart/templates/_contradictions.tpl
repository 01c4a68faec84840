{{- /*
docker-registry.contradictions (root context): a JSON list of sentences, one for each pair of values
that cannot both be meant. NOTES.txt fails with all of them at once. Each names the values as people
write them and says how to go on. The other templates survive every one of them: Helm renders NOTES.txt
last.
*/}}
{{- define "docker-registry.contradictions" -}}
{{- $found := list }}
{{- $gc := .Values.garbageCollect }}
{{- range include "docker-registry.contradictions.gc" . | fromJsonArray }}
{{- $found = append $found . }}
{{- end }}
{{- range include "docker-registry.contradictions.forms" . | fromJsonArray }}
{{- $found = append $found . }}
{{- end }}
{{- if not (has .Values.storage (list "filesystem" "s3" "azure" "swift")) }}
{{- $found = append $found (printf "storage is %v, which this chart does not know. Set one of filesystem, s3, azure, swift." .Values.storage) }}
{{- end }}
{{- with .Values.persistence }}
{{- if and .hostPath.path .existingClaim }}
{{- $found = append $found (printf "persistence.hostPath.path is %v and persistence.existingClaim is %v: the store can only be in one of them. Remove one." .hostPath.path .existingClaim) }}
{{- end }}
{{- if and .hostPath.path (not (hasPrefix "/" (toString .hostPath.path))) }}
{{- $found = append $found (printf "persistence.hostPath.path is %v, which is not a path from the root of the node. Begin it with a slash." .hostPath.path) }}
{{- end }}
{{- end }}
{{- $drain := include "docker-registry.drainSeconds" . | int }}
{{- $period := include "docker-registry.terminationGracePeriod" . | int }}
{{- if le $period $drain }}
{{- $found = append $found (printf "terminationGracePeriodSeconds is %d, but configData.http.draintimeout lets the registry finish requests for %d seconds, and it would be killed before. Remove terminationGracePeriodSeconds: the chart then computes it." $period $drain) }}
{{- end }}
{{- toJson $found }}
{{- end }}

{{- /* Only about a collection that is turned on: what is off contradicts nothing. */}}
{{- define "docker-registry.contradictions.gc" -}}
{{- $found := list }}
{{- $gc := .Values.garbageCollect }}
{{- if $gc.enabled }}
{{- $off := "Set garbageCollect.enabled: false; collecting object storage comes with a later version." }}
{{- if and (ne .Values.storage "filesystem") (ne $gc.mode "sidecar") }}
{{- $found = append $found (printf "garbageCollect.enabled is true, but storage is %v, which the collector cannot collect yet. %s" .Values.storage $off) }}
{{- end }}
{{- if and (ne .Values.storage "filesystem") (eq $gc.mode "sidecar") }}
{{- $found = append $found (printf "garbageCollect.mode is sidecar, but storage is %v, which has no volume to share. %s" .Values.storage $off) }}
{{- end }}
{{- if and (eq .Values.storage "filesystem") (eq $gc.mode "cronjob") }}
{{- $found = append $found "garbageCollect.mode is cronjob, a pod of its own, which cannot share the registry's volume: storage is filesystem. Remove garbageCollect.mode (the collector then runs beside the registry), or set garbageCollect.enabled: false." }}
{{- end }}
{{- if not (has $gc.mode (list "" "sidecar" "cronjob")) }}
{{- $found = append $found (printf "garbageCollect.mode is %v. Remove it, and it follows the storage; or set sidecar or cronjob." $gc.mode) }}
{{- end }}
{{- if eq (include "docker-registry.cacheKind" .) "inmemory" }}
{{- if eq $gc.restart "never" }}
{{- $found = append $found "garbageCollect.restart is never, but the registry caches descriptors in memory (configData.storage.cache) and would answer for what was deleted until it is restarted. Set configData.storage.cache: null, or garbageCollect.restart: auto." }}
{{- end }}
{{- end }}
{{- if and (not $gc.schedule) (ne (include "docker-registry.gc.periodic" .) "true") }}
{{- $found = append $found "garbageCollect.enabled is true, but neither garbageCollect.schedule nor garbageCollect.period says when to collect. Set one, or garbageCollect.enabled: false." }}
{{- end }}
{{- $decided := .Capabilities.APIVersions.Has "security.openshift.io/v1" }}
{{- if and (eq (include "docker-registry.userId" .) "") (not $decided) }}
{{- $found = append $found "garbageCollect.enabled is true, but neither containerSecurityContext.runAsUser nor securityContext.runAsUser is set and in force, so the collector could not be given the user of the registry's files. Set containerSecurityContext.enabled: true and its runAsUser (0 if the registry runs as root)." }}
{{- end }}
{{- end }}
{{- toJson $found }}
{{- end }}

{{- define "docker-registry.contradictions.forms" -}}
{{- $found := list }}
{{- $gc := .Values.garbageCollect }}
{{- if $gc.enabled }}
{{- $durations := dict "gracePeriod" $gc.gracePeriod "settlePeriod" $gc.settlePeriod "uploadGracePeriod" $gc.uploadGracePeriod
  "quarantine" $gc.quarantine "hook.timeout" $gc.hook.timeout "hook.startingDeadline" $gc.hook.startingDeadline
  "sidecar.startDelay" $gc.sidecar.startDelay "sidecar.memoryStartDelay" $gc.sidecar.memoryStartDelay
  "preflight.timeout" $gc.preflight.timeout }}
{{- range $name, $value := $durations }}
{{- $text := include "docker-registry.text" $value }}
{{- if or (eq (include "docker-registry.seconds" $value) "") (regexMatch "^0*[1-9][0-9]*$" $text) }}
{{- $found = append $found (printf "garbageCollect.%s: %q is not a duration like 90s, 15m, 1h, 7d." $name $text) }}
{{- end }}
{{- end }}
{{- range $name, $value := dict "period" $gc.period "hook.activeDeadline" $gc.hook.activeDeadline }}
{{- $text := include "docker-registry.text" $value }}
{{- if and $text (eq (include "docker-registry.seconds" $value) "") }}
{{- $found = append $found (printf "garbageCollect.%s: %q is not a duration like 90s, 15m, 1h, 7d, or a number of seconds." $name $text) }}
{{- end }}
{{- end }}
{{- if not (has $gc.restart (list "auto" "always" "never")) }}
{{- $found = append $found (printf "garbageCollect.restart is %v. Set auto, always or never." $gc.restart) }}
{{- end }}
{{- $ratio := include "docker-registry.text" $gc.maxDeleteRatio }}
{{- if not (regexMatch "^(0([.][0-9]+)?|1([.]0+)?)$" $ratio) }}
{{- $found = append $found (printf "garbageCollect.maxDeleteRatio: %q is not a share from 0 to 1, such as 0.8." $ratio) }}
{{- end }}
{{- end }}
{{- toJson $found }}
{{- end }}
