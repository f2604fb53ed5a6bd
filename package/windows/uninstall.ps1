# Remove the agent. A device that is managed is offboarded first; one that is protected stays, unless it may go.
# -Upgrade: other files take their place, and what is managed stays managed.
[CmdletBinding()]
param([switch] $Upgrade, [switch] $ConfigureOnly)

Import-Module (Join-Path $PSScriptRoot 'Common.psm1') -Force
Assert-Administrator
if (-not $Upgrade) {
    Invoke-Agent @('may-remove')
    if (Test-Path (Join-Path $Data 'agent\identity.json')) { Invoke-Agent @('offboard', '--reason', 'uninstalled') }
}
foreach ($name in 'ShieldwallAgent', 'ShieldwallApplier') {
    $service = Get-Service -Name $name -ErrorAction SilentlyContinue
    if (-not $service) { continue }
    if ($service.Status -ne 'Stopped') { Invoke-Program sc.exe @('stop', $name); $service.WaitForStatus('Stopped', '00:02:00') }
    if (-not $Upgrade) { Invoke-Program sc.exe @('delete', $name) }
}
if ($Upgrade) { return }
Get-NetFirewallRule -Name 'ShieldwallApplier-*' -ErrorAction SilentlyContinue | Remove-NetFirewallRule
Remove-Item $Data -Recurse -Force -ErrorAction SilentlyContinue
if ([Diagnostics.EventLog]::SourceExists('Shieldwall')) { Remove-EventLog -Source Shieldwall }
if (-not $ConfigureOnly) { Remove-Item $Home_ -Recurse -Force }
