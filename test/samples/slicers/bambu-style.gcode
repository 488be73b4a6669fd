; HEADER_BLOCK_START
; BambuStudio 01.09.05.51
; model printing time: 1m 9s; total estimated time: 7m 27s
; total layer number: 2
; total filament length [mm] : 1.20,2.40
; total filament volume [cm^3] : 2.89,5.77
; total filament weight [g] : 0.01,0.02
; max_z_height: 0.40
; filament: 1,3
; HEADER_BLOCK_END

; CONFIG_BLOCK_START
; filament_type = PLA;PLA;PETG
; layer_height = 0.2
; nozzle_diameter = 0.4
; CONFIG_BLOCK_END

; EXECUTABLE_BLOCK_START
M73 P0 R7
M201 X20000 Y20000 Z500 E5000
M204 S10000
G28
G90
M83
T0
; CHANGE_LAYER
; Z_HEIGHT: 0.2
; LAYER_HEIGHT: 0.2
G1 X95 Y100 F30000
G1 Z.2
; FEATURE: Outer wall
; LINE_WIDTH: 0.42
G1 X105 E.6 F3000
G1 Y101 E.05
T2
; CHANGE_LAYER
; Z_HEIGHT: 0.4
; LAYER_HEIGHT: 0.2
G17
G2 Z.8 I1.2 J0 P1 F30000
G1 Z.4
; FEATURE: Inner wall
G1 X95 E1.2 F3000
G1 Y100 E.05
M73 P100 R0
M84
; EXECUTABLE_BLOCK_END
