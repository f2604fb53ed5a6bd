"""The one script with which PowerShell is asked. It never changes: what is asked comes as JSON on its input.

It talks to the management infrastructure directly (``Microsoft.Management.Infrastructure``): the cmdlets of Defender
and of the firewall are made of the same classes, and may be missing or be replaced by functions of somebody's profile.
Where the language is constrained it may call no method at all, says so and ends. What comes on its input is ASCII, so
that no code page matters, and is taken from ``$input``: PowerShell reads its input itself when started with a command.
Sources: Microsoft, *CimSession*, *CimOperationOptions*, *about_Language_Modes*.
"""

from __future__ import annotations

import base64
from typing import Final

SCRIPT: Final = r"""
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$mode = $ExecutionContext.SessionState.LanguageMode
if ($mode -ne 'FullLanguage') { "{""languageMode"":""$mode""}"; exit 0 }
$asked = @($input) -join ' '
$utf8 = New-Object System.Text.UTF8Encoding $false
function Get-Plain($value) {
    if ($null -eq $value) { return $null }
    if ($value -is [TimeSpan]) { return $value.ToString('c') }
    if ($value -is [DateTime]) { return $value.ToUniversalTime().ToString('o') }
    if ($value -is [Microsoft.Management.Infrastructure.CimInstance]) {
        $properties = @{}
        foreach ($property in $value.CimInstanceProperties) { $properties[$property.Name] = Get-Plain $property.Value }
        return $properties
    }
    if ($value -is [Array]) {
        $items = New-Object System.Collections.ArrayList
        foreach ($item in $value) { [void]$items.Add((Get-Plain $item)) }
        return ,($items.ToArray())
    }
    return $value
}
$answer = @{}
try {
    $request = $asked | ConvertFrom-Json
    $session = [Microsoft.Management.Infrastructure.CimSession]::Create([NullString]::Value)
    $options = New-Object Microsoft.Management.Infrastructure.Options.CimOperationOptions
    $options.Timeout = [TimeSpan]::FromSeconds($request.seconds)
    foreach ($option in $request.options.PSObject.Properties) {
        $options.SetCustomOption($option.Name, [string]$option.Value, $false)
    }
    if ($request.verb -eq 'instances') {
        $rows = New-Object System.Collections.ArrayList
        foreach ($row in $session.EnumerateInstances($request.namespace, $request.class, $options)) {
            [void]$rows.Add((Get-Plain $row))
        }
        $answer['instances'] = $rows.ToArray()
    } else {
        $class = $session.GetClass($request.namespace, $request.class)
        $method = $class.CimClassMethods[$request.method]
        if ($null -eq $method) { $answer['error'] = @{ native = 17; message = 'There is no such method.' } }
        else {
            $arguments = New-Object Microsoft.Management.Infrastructure.CimMethodParametersCollection
            $unknown = $null
            foreach ($argument in $request.arguments.PSObject.Properties) {
                $declared = $method.Parameters[$argument.Name]
                if ($null -eq $declared) { $unknown = $argument.Name; break }
                $type = [Microsoft.Management.Infrastructure.CimConverter]::GetDotNetType($declared.CimType)
                $value = [System.Management.Automation.LanguagePrimitives]::ConvertTo($argument.Value, $type)
                $parameter = [Microsoft.Management.Infrastructure.CimMethodParameter]::Create(
                    $argument.Name, $value, $declared.CimType, [Microsoft.Management.Infrastructure.CimFlags]::In)
                $arguments.Add($parameter)
            }
            if ($null -ne $unknown) { $answer['error'] = @{ native = 4; message = "There is no parameter $unknown." } }
            else {
                $result = $session.InvokeMethod(
                    $request.namespace, $request.class, $request.method, $arguments, $options)
                $out = @{}
                foreach ($parameter in $result.OutParameters) { $out[$parameter.Name] = Get-Plain $parameter.Value }
                $out['ReturnValue'] = Get-Plain $result.ReturnValue.Value
                $answer['out'] = $out
            }
        }
    }
} catch {
    $fault = $_.Exception
    while ($null -ne $fault.InnerException -and $fault -isnot [Microsoft.Management.Infrastructure.CimException]) {
        $fault = $fault.InnerException
    }
    $answer['error'] = @{ message = [string]$fault.Message; hresult = $fault.HResult }
    if ($fault -is [Microsoft.Management.Infrastructure.CimException]) {
        $answer['error']['native'] = [int]$fault.NativeErrorCode
        $answer['error']['status'] = $fault.StatusCode
        $answer['error']['id'] = [string]$fault.MessageId
    }
}
$bytes = $utf8.GetBytes((ConvertTo-Json -InputObject $answer -Compress -Depth 8))
$output = [Console]::OpenStandardOutput()
$output.Write($bytes, 0, $bytes.Length)
$output.Flush()
exit 0
"""

ARGUMENTS: Final = (
    "-NoLogo",
    "-NoProfile",
    "-NonInteractive",
    "-InputFormat",
    "Text",
    "-OutputFormat",
    "Text",
    "-EncodedCommand",
    base64.b64encode(SCRIPT.encode("utf-16-le")).decode(),
)
"""What PowerShell is started with. A command is not subject to the execution policy, which is for files."""
