; a plate with a slot, for machines that take CNC words only
G21
G90
G0 Z5
G0 X10 Y10
G1 Z0.2 F300
G1 X40 Y10 F900
G1 X45 Y15
G1 X45 Y40
G1 X10 Y40
G1 X10 Y10
G0 Z5
G4 P10
G0 X0 Y0
