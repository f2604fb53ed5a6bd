# Give this device an identity with an onboarding package. The package holds a secret: it is deleted afterwards with -Remove.
[CmdletBinding()]
param([Parameter(Mandatory)] [string] $Package, [string] $Proxy, [switch] $Remove)

Import-Module (Join-Path $PSScriptRoot 'Common.psm1') -Force
Assert-Administrator
$words = @('onboard', (Resolve-Path $Package).Path)
if ($Proxy) { $words += @('--proxy', $Proxy) }
Invoke-Agent $words
if ($Remove) { Remove-Item $Package -Force }
