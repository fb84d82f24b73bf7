"""RCS on an IMS: application servers, handsets, encryption and the test tool."""
